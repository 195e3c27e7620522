"""The chores of the service, what it does of its own accord, and the one timer that does them."""
