"""Does the house keep its own rules? Tests that read the project; no database needed."""
