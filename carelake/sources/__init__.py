"""Extract: bring what a source system hands over into the landing zone, untouched.

One module per kind of source system; each writes the landing zone and nothing else.
"""
