"""Tests, by the question they ask; each folder is one question."""
