"""All that the inside of the sandbox sees of plaudit; nothing here imports anything else of it."""
