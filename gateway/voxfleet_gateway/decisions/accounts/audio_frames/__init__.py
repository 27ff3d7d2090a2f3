"""The length of compressed audio by its frames' headers, in whatever pieces it comes; a module per kind of framing."""
