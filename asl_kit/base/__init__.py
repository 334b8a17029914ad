"""Files, validation, the console, plug-ins, HTML pages and child processes, for all other packages."""
