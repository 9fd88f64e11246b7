"""The B2 native API over the same objects: a file id is the id of a version, a large file is a multipart upload.

Rule: nothing here knows how a store keeps anything, and S3's handlers know nothing of B2.
https://www.backblaze.com/apidocs/introduction-to-the-b2-native-api
"""
