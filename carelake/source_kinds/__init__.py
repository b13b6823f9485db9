"""What a source of each kind says in `sources.yml` beyond what all sources say; one module a kind."""
