"""Images, masks and the manifest that lists them."""
