"""What EMR Serverless is given to run; the image has the rest."""

from app.aws.spark import main

main()
