"""The model's page: what it shows, gathered from registry and monitoring, and published as static JSON."""

from perennial.jobs.page.publishing import PublishResult, build_page, publish, publish_page, site_store

__all__ = ["PublishResult", "build_page", "publish", "publish_page", "site_store"]
