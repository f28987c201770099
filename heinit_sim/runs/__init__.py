"""Run directories: the only writer and reader of disk, atomic and hashed."""
