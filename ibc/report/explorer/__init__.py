"""The explorer: a static page on which a person searches a set of images by their codes. See docs/explorer.md."""
