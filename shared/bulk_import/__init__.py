"""Bulk import (azure-apis §8): files that are dropped into a container are stored as by STOW-RS."""
