"""What the scenarios share: running keepwell, making trees, comparing trees, counting checks. Standard library only."""
