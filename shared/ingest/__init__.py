"""Taking files in: checks, blob, index (PS3.18 §10.5), whether a request or the blob trigger brings them."""
