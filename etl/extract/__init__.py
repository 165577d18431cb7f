"""Extract: everything that brings a delivery's bytes to this machine and opens it."""
