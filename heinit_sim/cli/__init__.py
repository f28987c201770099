"""The commands: arguments in, one library call per stage, Rich out, exit codes."""
