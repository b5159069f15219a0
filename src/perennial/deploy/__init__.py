"""From a checkout to a running stack: package the API, deploy ``template.yaml``, publish the form."""
