"""What `azd up` runs beside the templates: the package, the questions before anything is created, the subscriptions."""


class Unusable(Exception):
    """Something that the person who deploys must mend; the text says what."""
