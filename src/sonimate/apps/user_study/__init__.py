"""A study in which people rate videos: what is shown, the page, the votes, the table."""
