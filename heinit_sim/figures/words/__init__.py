"""The words in a figure: names of conditions, and the room that text takes."""
