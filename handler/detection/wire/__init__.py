"""The wire forms: how clients may send images, and how each gets its response. The forms are listed in forms.py."""
