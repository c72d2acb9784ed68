"""Examples of every dialect in curl, Python and JavaScript: the files, and what shows them on the page."""
