"""The embedded model `shapes`: a generator of pictures with coloured shapes, and a small detector trained on them."""
