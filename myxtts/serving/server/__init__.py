"""`myxtts serve`: one model behind HTTP. docs/serving.md has its routes, limits and figures."""
