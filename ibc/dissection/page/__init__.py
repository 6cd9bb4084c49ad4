"""The pages of a dissection."""
