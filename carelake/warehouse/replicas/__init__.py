"""Published marts in PostgreSQL or MySQL: written beside, audited, swapped at once."""
