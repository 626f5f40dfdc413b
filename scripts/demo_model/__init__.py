"""The embedded default model: pictures of coloured shapes, and a small detector trained on them."""
