"""Azurite, the storage emulator: its process and the account in it."""
