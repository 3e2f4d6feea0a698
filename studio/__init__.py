"""The studio: a page in the browser with a face and a slider for each AU (`ganim studio`)."""
