"""Files, validation, the console, plug-ins, child processes: what every other package stands on."""
