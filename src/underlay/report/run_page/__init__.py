"""A run as one page of HTML that stands alone: what is in it, and the page itself."""
