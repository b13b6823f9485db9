"""What customers come for: the company's own list, `needs.yml`."""
