"""Helpers of an executable course on how single-head attention learns."""

__version__ = "0.1.0"
