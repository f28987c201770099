"""A result as rows, CSV, tables, JUnit and Markdown; nothing is printed and nothing saved."""
