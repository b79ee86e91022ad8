"""The functions as `make build` leaves them."""
