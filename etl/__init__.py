"""The engine's front room: it says when things happen, never what they cost."""
