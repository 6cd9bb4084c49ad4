"""What makes training and extraction fast. Takes the plain objects of the method, returns faster ones."""
