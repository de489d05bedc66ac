"""The demo's programme, its three agreements, and a quarter of events that tell its story."""
