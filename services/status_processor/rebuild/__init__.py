"""The fold's tables made anew from the topics, compared with the live ones and, if asked for, put in their place."""
