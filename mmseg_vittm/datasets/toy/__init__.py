"""The toy scenes: street and country scenes drawn by a program."""
