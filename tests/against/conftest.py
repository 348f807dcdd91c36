"""Tests here compare hornbeam with the real Keras, on the same engine."""

import atexit
import os
import shutil
import tempfile

# Keras reads both while it is imported, and writes a keras.json into its home: keep the
# user's own file out of the comparison, and out of harm.
os.environ["KERAS_BACKEND"] = "jax"
os.environ["KERAS_HOME"] = tempfile.mkdtemp(prefix="keras-home-")
atexit.register(shutil.rmtree, os.environ["KERAS_HOME"], ignore_errors=True)
