"""Transforms: the pure room. Frames in, frames out; no clock, files, network or logging."""
