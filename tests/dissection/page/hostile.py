"""A text that would break a page that does not escape, and the IoU threshold of the pages in these tests."""

HOSTILE = '<script>fail("x")</script>&amp;'
THRESHOLD = 0.06
