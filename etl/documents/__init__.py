"""Invoices on paper and on the wire: each format is one module."""
