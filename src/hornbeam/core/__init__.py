"""The mechanism everything else stands on; it imports nothing from the rest of hornbeam."""
