"""Worked cases of rating; they read like the tariff sheet they check."""
