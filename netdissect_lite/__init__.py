"""The official command of network dissection and its settings; the code is ``ibc.dissection``."""
