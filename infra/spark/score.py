"""What EMR Serverless starts: it takes a file and no module."""

import sys

from perennial.scoring.spark_job import main

if __name__ == "__main__":
    sys.exit(main())
