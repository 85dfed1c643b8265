"""The moving toy scenes: short videos drawn by a program, with things that are hidden for some frames."""
